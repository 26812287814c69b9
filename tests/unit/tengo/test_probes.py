"""Every recorded program gives what it gave on the real VM, but for the listed deviations."""

from __future__ import annotations

from typing import Any

import probes
import pytest

from runtimes.tengo.runtime import TengoRuntime

PROBES = probes.load()
DEVIATIONS = probes.deviations()
if not PROBES:
    pytest.skip("the recordings in ../shared are not there", allow_module_level=True)


@pytest.fixture(scope="module")
def runtime() -> TengoRuntime:
    return probes.new_runtime()


def test_every_deviation_names_a_recording() -> None:
    assert set(DEVIATIONS) <= {probe["id"] for probe in PROBES}


@pytest.mark.parametrize("probe", PROBES, ids=[probe["id"] for probe in PROBES])
def test_probe(probe: dict[str, Any], runtime: TengoRuntime) -> None:
    modules = {name: module["source"].encode() for name, module in probe.get("modules", {}).items()}
    got = probes.outcome(probes.run(runtime, probe["source"], modules))
    want = probes.expected(probe)
    if probes.recorded(probe).get("go_panic") and "error" in got:
        got["error"] = got["error"].split("\n")[0]  # the original says no place
    agrees = probes.same(got, want)
    if probe["id"] in DEVIATIONS:
        assert not agrees, "a listed deviation that is none"
    else:
        assert agrees, f"{probe['source']}\ngot  {got}\nwant {want}"
