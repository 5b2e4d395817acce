"""What is configured: a container file -> model -> one immutable compiled Container.

document.py      YAML, strictly: no duplicate keys, bounded, every value knows its line
native.py        container.yaml -> model.py (Google's resources); environment.py fills in ${ENV} and secrets
fields.py        a struct's fields against what was written, one problem each (field_types.py, report.py)
check.py         all problems at once; checks/ has a file for each part of a container
compile.py       model -> container.py; conditions.py, triggers.py, transformations.py, tags.py, clients.py,
                 variables.py and parameters.py each compile their part
built_in.py      variables that need no declaration        schema.py  JSON Schema from the same structs
"""
