"""The whole project as one Dagster code location: two Python assets by Metaxy, one Go asset by metaxy-pipes, one job."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(PROJECT / "dagster_defs" / "src")]

import dagster as dg  # noqa: E402
import metaxy as mx  # noqa: E402
import metaxy.ext.dagster as mxd  # noqa: E402

mx.init(HERE / "metaxy.toml")

from export_features import EXPORTED, exported  # noqa: E402
from library.assets import WORDS, book, card  # noqa: E402

from metaxy_pipes import metaxy_pipes_assets  # noqa: E402

if EXPORTED.read_text() != exported(mx.current_graph()):
    raise RuntimeError(f"{EXPORTED.name} is not the graph of the Python features: run export_features.py")

words = metaxy_pipes_assets(
    PROJECT / "bin" / "words", config=HERE / "metaxy.toml", select=[WORDS], group_name="library", kinds=("delta",)
)

defs = dg.Definitions(
    assets=[book, *words, card],
    jobs=[dg.define_asset_job("catalogue", selection=dg.AssetSelection.groups("library"))],
    resources={"store": mxd.MetaxyStoreFromConfigResource(name="dev"), "pipes_client": dg.PipesSubprocessClient()},
)
