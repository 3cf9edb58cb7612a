"""The contracts of plugins as calls, for the tests of their authors: `from pgsclip.testing import check_masker`."""

from pgsclip.testing.logger import check_logger
from pgsclip.testing.loss import check_loss
from pgsclip.testing.masker import check_masker
from pgsclip.testing.text_masker import check_text_masker, counts_for_checks

__all__ = ["check_logger", "check_loss", "check_masker", "check_text_masker", "counts_for_checks"]
