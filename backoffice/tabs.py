"""Lists in the tabs of a page: unfold's datasets, each sorted and paged by itself, with the actions of its rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.admin.views.main import ORDER_VAR
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.datasets import BaseDataset
from unfold.views import DatasetChangeList

from core.admin import tab_of


class NearestPagePaginator(Paginator):  # type: ignore[type-arg] # Django's class takes no parameter at run time
    """Pages of which none is missing: past the last one is the last, whose only row an action may just have taken."""

    def validate_number(self, number: Any) -> int:
        """Return the number of the page that is nearest to it."""
        return max(1, min(int(number), self.num_pages))


class TabChangeList(DatasetChangeList):
    """The list of a tab. Its order has a parameter of its own, because the page has several lists."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.order_var = f"{kwargs['model']._meta.model_name}-o"
        super().__init__(request, *args, **kwargs)

    def get_queryset(self, request: HttpRequest, exclude_parameters: list[str | None] | None = None) -> QuerySet[Any]:
        """Sort by what is asked of this list, under the name that Django knows."""
        self.params.pop(ORDER_VAR, None)
        if self.order_var in self.params:
            self.params[ORDER_VAR] = self.params[self.order_var]
        rows: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        return rows

    def get_results(self, request: HttpRequest) -> None:
        """Say which page is shown, where the one asked for is none."""
        super().get_results(request)
        self.page_num: int = self.paginator.validate_number(self.page_num)

    def get_query_string(self, new_params: Mapping[str, Any] | None = None, remove: Sequence[str] | None = None) -> str:
        """Return the address of another order: on the first page, and in this tab."""
        if new_params is None or ORDER_VAR not in new_params:
            return str(super().get_query_string(new_params, remove))
        ordered = {self.order_var: new_params[ORDER_VAR], self.page_var: None}
        return f"{super().get_query_string(ordered, remove)}{tab_of(self.model)}"


class Tab(BaseDataset):
    """A tab of a page with a list of rows that belong to it, of the class `model_admin`."""

    tab = True

    @property
    def cl(self) -> TabChangeList:
        """Return the list, as unfold makes it but of the class above, and with what its rows offer."""
        admin, request = self.model_admin_instance, self.request
        columns = admin.get_list_display(request)
        changes = TabChangeList(
            request=request,
            model=self.model,
            model_admin=admin,
            list_display=["action_checkbox", *columns] if admin.get_actions(request) else columns,
            list_display_links=admin.get_list_display_links(request, columns),
            list_filter=[],
            date_hierarchy=[],
            search_fields=admin.get_search_fields(request),
            list_select_related=[],
            list_per_page=admin.list_per_page,
            list_max_show_all=False,
            list_editable=[],
            sortable_by=admin.get_sortable_by(request),
            search_help_text=[],
        )
        changes.formset = None
        changes.actions_row = [
            {
                "title": action.description,
                "icon": action.icon,
                "attrs": action.method.attrs,
                "dialog": action.dialog,
                "raw_path": f"{admin.admin_site.name}:{action.action_name}",
            }
            for action in admin.get_actions_row(request)
        ]
        return changes


class TabAdmin:
    """What the admins of rows in a tab share; mixed in before the admin of the rows' own list."""

    list_per_page = 20
    paginator: Any = NearestPagePaginator
    show_full_result_count = True
    list_disable_select_all = False
    search_fields: Sequence[str] = ()
