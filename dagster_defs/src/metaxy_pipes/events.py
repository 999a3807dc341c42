"""What this package adds to the events of a feature, beside what the runner reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import dagster as dg

LINK = "metaxy/link"
URI = "dagster/uri"
StoreLink = str | Callable[[str], str]


@dataclass(frozen=True)
class EventExtras:
    """Tags by asset, and how a table's URI becomes a link."""

    tags: Mapping[dg.AssetKey, Mapping[str, str]] = field(default_factory=dict)
    store_link: StoreLink | None = None

    def materialization(self, result: dg.MaterializeResult, key: dg.AssetKey | None = None) -> dg.MaterializeResult:
        """The result with the asset's tags and the link to its table; key is for a result that names no asset."""
        asset = result.asset_key if isinstance(result.asset_key, dg.AssetKey) else key
        metadata = dict(result.metadata or {})
        uri = metadata.get(URI)
        if isinstance(uri, dg.TextMetadataValue) and uri.text:
            metadata.update(link(self.store_link, uri.text))
        return dg.MaterializeResult(
            asset_key=result.asset_key,
            metadata=metadata,
            check_results=result.check_results,
            data_version=result.data_version,
            tags={**(self.tags.get(asset, {}) if asset else {}), **(result.tags or {})},
        )


NO_EXTRAS = EventExtras()


def link(store_link: StoreLink | None, uri: str) -> dict[str, dg.UrlMetadataValue]:
    """Metadata with the link to a table; empty if no link is wanted or the URI is a folder of this machine.

    A link is a function of the URI, or a text with `{uri}`, `{bucket}` and `{path}` in it.
    """
    if store_link is None:
        return {}
    if callable(store_link):
        return {LINK: dg.MetadataValue.url(store_link(uri))}
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        return {}
    values = {"uri": quote(uri, safe=""), "bucket": parts.netloc, "path": quote(parts.path.lstrip("/"))}
    return {LINK: dg.MetadataValue.url(store_link.format(**values))}
