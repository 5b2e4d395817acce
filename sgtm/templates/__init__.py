"""Gallery templates: `.tpl` files and Google's sandboxed JavaScript dialect.

reader.py      a `.tpl` file -> Template: fields, permissions, code, tests
permissions.py what a template may do
tokens.py  syntax.py  parser.py  scope.py  compile.py   code -> nodes of `sgtm/_fast/sandbox_*.pyx`
script.py      a compiled script, and one run of it within limits
code.py        a template that is read and compiled, once for all that use it
running.py  client_run.py   one run: code, then the answers that it waits for, until nothing is left
adapt.py       a template as a component: client, tag, variable
surroundings.py  limits.py  what the templates of a container share: limits, stores, counters
patterns.py    what methods of texts do with patterns
library.py     APIs that need nothing but their arguments
host.py        whom a run works for: between APIs and the corridor
apis/          APIs of a server, with their permissions
testing.py  assertions.py   the tests that stand in a template
check.py       what is wrong with a template

Nothing here does I/O: what a run asks is a `Conversation` that the corridor carries out. The APIs that a run
may `require` are a table that is given to it.
"""
