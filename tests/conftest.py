"""Every shape annotation of pgsclip is checked while the tests run."""

from jaxtyping import install_import_hook

install_import_hook("pgsclip", "beartype.beartype")
