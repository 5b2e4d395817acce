"""The compiled core only; everything else about the package stands in pyproject.toml.

Plain build: -O3. Environment variables choose the others, one at a time:
SGTM_DEBUG     -O0 -g3, all of Cython's run-time checks
SGTM_SANITIZE  AddressSanitizer and UndefinedBehaviorSanitizer (see `make sanitize`)
SGTM_FUZZ      what `make fuzz` wants: clang's AddressSanitizer, and its counters for libFuzzer
SGTM_COVERAGE  line tracing for coverage.py's Cython plugin
SGTM_ANNOTATE  an HTML page beside each .pyx: yellow lines call into Python
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup

Options.warning_errors = True
DEBUG, SANITIZE, FUZZ, COVERAGE, ANNOTATE = (
    bool(os.environ.get(f"SGTM_{name}")) for name in ("DEBUG", "SANITIZE", "FUZZ", "COVERAGE", "ANNOTATE")
)

HARDENING = ["-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-Wformat", "-Werror=format-security"]
compile_args, link_args, macros = ["-O3", *HARDENING], ["-Wl,-z,relro,-z,now"], []
if DEBUG:
    compile_args, link_args = ["-O0", "-g3", "-UNDEBUG"], []
if SANITIZE:
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    compile_args, link_args = ["-O1", "-g", "-fno-omit-frame-pointer", *flags], flags
if FUZZ:
    compile_args = ["-O1", "-g", "-fno-omit-frame-pointer", "-w", "-fsanitize=address,fuzzer-no-link"]
    link_args = []  # atheris brings the runtime
if COVERAGE:
    macros = [("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")]

DIRECTIVES = {
    "language_level": 3,
    "binding": True,
    "embedsignature": True,
    "autotestdict": False,
    "auto_pickle": False,
    "annotation_typing": False,
    "wraparound": False,
    "boundscheck": True,
    "warn.unused": True,
    "linetrace": COVERAGE,
}

extensions = [
    Extension(
        f"sgtm._fast.{source.stem}",
        [str(source)],
        depends=[str(path) for pattern in ("*.pxd", "*.pxi", "*.h") for path in source.parent.glob(pattern)],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
        define_macros=macros,
    )
    for source in sorted(Path("sgtm/_fast").glob("*.pyx"))
]
setup(
    ext_modules=cythonize(
        extensions, nthreads=os.cpu_count() or 1, compiler_directives=DIRECTIVES, annotate=ANNOTATE
    )
)
