"""The rules as one file: written from the database, compared with it, and made true in it.

`text` is YAML, `parse` reads it into the `schema`; `stored` reads the database into the same schema; `plan` compares
the two; `apply` does what the plan says, through the services of the apps; `show` puts it into words.
"""
