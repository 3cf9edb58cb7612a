from __future__ import annotations

import os

import pytest

from pgsclip import launchers as room
from pgsclip.distributed import World
from pgsclip.errors import ConfigError
from pgsclip.launchers import first_host, read_world


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    launchers = [name for names in room._LAUNCHERS for name in names]
    for name in (*launchers, "MASTER_ADDR", "MASTER_PORT", "SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_JOB_ID"):
        monkeypatch.setenv(name, "")  # so that whatever a test or `join` sets is undone
        monkeypatch.delenv(name)


def test_alone_without_variables_and_led_by_rank_zero() -> None:
    assert read_world() == World(0, 1, 0)
    assert World(0, 2, 0).leads
    assert not World(1, 2, 1).leads


def test_variables_of_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert read_world() == World(3, 8, 1)


def test_variables_that_make_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "one")
    with pytest.raises(ConfigError, match=r"must be whole numbers, not .*'RANK': 'one'"):
        read_world()
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="RANK 2 does not fit WORLD_SIZE 2"):
        read_world()


SLURM = {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "16", "SLURM_LOCALID": "1", "SLURM_STEP_NODELIST": "gpu[003-006]"}
OPEN_MPI = {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "0"}
MPICH = {"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [(SLURM, World(5, 16, 1)), (OPEN_MPI, World(2, 4, 0)), (MPICH, World(1, 2, 1))],
    ids=["srun", "Open MPI", "MPICH"],
)
def test_variables_of_other_launchers_become_torch_s(
    given: dict[str, str], expected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert read_world() == expected
    assert [os.environ[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")] == [str(part) for part in expected]
    if given is SLURM:
        assert os.environ["MASTER_ADDR"] == "gpu003"
        assert os.environ["MASTER_PORT"] == "29500"
    assert read_world() == expected


def test_torchrun_under_srun_wins_and_a_batch_script_is_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SLURM, "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert read_world() == World(1, 2, 1)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_NTASKS", "16")
    assert read_world() == World()


@pytest.mark.parametrize(
    ("hosts", "first"),
    [
        ("gpu7", "gpu7"),
        ("a,b", "a"),
        ("gpu[003-006,9]", "gpu003"),
        ("n[1,4]-ib,m2", "n1-ib"),
        ("rack1-n[10]", "rack1-n10"),
    ],
)
def test_the_first_machine_of_a_slurm_list(hosts: str, first: str) -> None:
    assert first_host(hosts) == first
