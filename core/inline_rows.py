"""Rows inside a form that each refer to something, which no two of them may share: filters, metrics, prerequisites."""

from typing import Any, ClassVar

from django import forms


class RowsByReference(forms.BaseInlineFormSet):  # type: ignore[type-arg] # Django's forms take no parameter at run time
    """Rows that are told apart by what they refer to, whichever line of the form they stand in.

    Rows can so exchange their references in one go, and one can take that of a row which is deleted. Django would
    compare each line with the stored rows as if the others stayed as they are, and store them one after the other.
    """

    reference: ClassVar[str]
    data: Any

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, *args, **kwargs)
        if self.is_bound and self.management_form.is_valid():
            self.data = self.data.copy()
            self._reuse_deleted_rows()
            self._pair_lines_with_rows()

    def _reuse_deleted_rows(self) -> None:
        """Let a new line with the reference of a row that is deleted take that row's place."""
        deleted = {
            reference: line
            for line, reference in self._stored_references().items()
            if self._get(line, forms.formsets.DELETION_FIELD_NAME)
        }
        for line in range(self.initial_form_count(), self.total_form_count()):
            if (old := deleted.pop(self._get(line, self.reference), None)) is not None:
                self.data.pop(self._key(old, forms.formsets.DELETION_FIELD_NAME))
                for key in [each for each in self.data if each.startswith(self._key(line, ""))]:
                    name = key.removeprefix(self._key(line, ""))
                    if name != self._pk_name:
                        self.data[self._key(old, name)] = self.data[key]
                self.data[self._key(line, forms.formsets.DELETION_FIELD_NAME)] = "on"

    def _pair_lines_with_rows(self) -> None:
        """Give each line that is kept the row that has its reference already, and the others what is left."""
        stored = self._stored_references()
        rows = {reference: self._get(line, self._pk_name) for line, reference in stored.items()}
        paired: dict[int, str] = {}
        for line in stored:
            is_kept = not self._get(line, forms.formsets.DELETION_FIELD_NAME)
            if is_kept and (row := rows.pop(self._get(line, self.reference), None)) is not None:
                paired[line] = row
        left = list(rows.values())
        for line in stored:
            if line not in paired:
                own = self._get(line, self._pk_name)
                paired[line] = left.pop(left.index(own) if own in left else 0)
        for line, row in paired.items():
            self.data[self._key(line, self._pk_name)] = row

    def _stored_references(self) -> dict[int, str]:
        """Return, for each line of a stored row, what the row refers to; nothing where the lines are not its own."""
        stored = {str(row.pk): str(getattr(row, f"{self.reference}_id")) for row in self.get_queryset()}
        lines = range(min(self.initial_form_count(), self.total_form_count()))
        rows = [self._get(line, self._pk_name) for line in lines]
        if len(set(rows)) < len(rows) or not stored.keys() >= set(rows):
            return {}
        return {line: stored[row] for line, row in zip(lines, rows, strict=True)}

    @property
    def _pk_name(self) -> str:
        key = self.get_queryset().model._meta.pk
        return key.name if key else ""

    def _key(self, line: int, name: str) -> str:
        return f"{self.add_prefix(line)}-{name}"

    def _get(self, line: int, name: str) -> str:
        return str(self.data.get(self._key(line, name)) or "")
