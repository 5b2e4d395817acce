"""Front door for containers of Google Tag Manager: an export -> what a container.yaml would say.

json_document.py    JSON, bounded, with the line of every entity
export.py           the export's lists, ids, references, and what there is to report about them
clients.py, variables.py, triggers.py, transformations.py, tags.py, templates.py
                    one list each, from Google's words to ours
translation.py      all of it -> the plain data of a container.yaml, which `native.py` reads as any other

So both front doors end in one reader, and `sgtm convert` only has to write down what stands here.
SPEC: sandbox-api 5 (5.10 wins).
"""
