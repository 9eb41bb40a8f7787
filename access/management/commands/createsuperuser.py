"""Django's command, which says first what is asked of a password, and asks it of one from the environment too."""

import os
from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import password_validators_help_texts, validate_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError


class Command(createsuperuser.Command):
    """Makes an account that may do everything."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        """Make it."""
        if options["interactive"]:
            self.stdout.write("\n".join(str(each) for each in password_validators_help_texts()))
        elif password := os.environ.get("DJANGO_SUPERUSER_PASSWORD"):
            login = options["username"] or os.environ.get("DJANGO_SUPERUSER_USERNAME", "")
            mail = options["email"] or os.environ.get("DJANGO_SUPERUSER_EMAIL", "")
            try:
                validate_password(password, User(username=login, email=mail))
            except ValidationError as error:
                raise CommandError(f"DJANGO_SUPERUSER_PASSWORD: {' '.join(error.messages)}") from error
        return super().handle(*args, **options)
