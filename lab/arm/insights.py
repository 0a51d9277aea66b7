"""Microsoft.Insights: host metrics from the guest's process and network card, and their definitions.

A minute without a sample, or one that is too young to be ingested, has its time stamp and no value.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from lab.arm.cloud import Cloud
from lab.arm.compute import vm_of
from lab.arm.errors import MonitorError
from lab.arm.exchange import VM, Request, Response, Route
from lab.arm.times import parse, zulu
from lab.guests.base import MinuteSample

_NAMESPACE = "Microsoft.Compute/virtualMachines"
_PROVIDER = VM + "/providers/Microsoft.Insights"
_MOST_NAMES = 20
_HOUR = 3600.0


@dataclass(frozen=True)
class Metric:
    """One platform metric of a VM and where its minutes come from."""

    name: str
    unit: str
    primary: str
    value: Callable[[MinuteSample], float | None]
    description: str


def _available(sample: MinuteSample) -> float | None:
    return None if sample.cpu_percent is None else 1.0


METRICS = (
    Metric(
        "Percentage CPU",
        "Percent",
        "Average",
        lambda one: one.cpu_percent,
        "Share of the allocated compute units in use",
    ),
    Metric(
        "Network In Total",
        "Bytes",
        "Total",
        lambda one: one.network_in_bytes,
        "Bytes received on all network interfaces",
    ),
    Metric(
        "Network Out Total", "Bytes", "Total", lambda one: one.network_out_bytes, "Bytes sent on all network interfaces"
    ),
    Metric("Network In", "Bytes", "Total", lambda one: one.network_in_bytes, "Billable bytes received (deprecated)"),
    Metric("Network Out", "Bytes", "Total", lambda one: one.network_out_bytes, "Billable bytes sent (deprecated)"),
    Metric("Disk Read Bytes", "Bytes", "Total", lambda one: one.disk_read_bytes, "Bytes read from disk"),
    Metric("Disk Write Bytes", "Bytes", "Total", lambda one: one.disk_write_bytes, "Bytes written to disk"),
    Metric("VmAvailabilityMetric", "Count", "Average", _available, "Measure of availability of a VM over time"),
)

_AGGREGATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "average": lambda values: sum(values) / len(values),
    "total": sum,
    "minimum": min,
    "maximum": max,
    "count": len,
}
_GRAINS = {
    "PT1M": 60,
    "PT5M": 300,
    "PT15M": 900,
    "PT30M": 1800,
    "PT1H": 3600,
    "PT6H": 21600,
    "PT12H": 43200,
    "P1D": 86400,
}
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


def list_metrics(cloud: Cloud, request: Request) -> Response:
    """GET metrics."""
    vm = vm_of(cloud, request)
    query = request.query
    now = time.time()
    metrics = [_metric(name.strip()) for name in query.get("metricnames", METRICS[0].name).split(",")]
    if len(metrics) > _MOST_NAMES:
        raise MonitorError(400, "BadRequest", f"No more than {_MOST_NAMES} metrics can be asked for at once.")
    grain = query.get("interval", "PT1M")
    if grain not in _GRAINS:
        message = f"Detect invalid time grain input: {grain}, supported: {','.join(_GRAINS)}"
        raise MonitorError(400, "BadRequest", message)
    start, end = _timespan(unquote(query.get("timespan", "")), now)  # `az monitor metrics list` encodes it twice
    ingested = now - cloud.settings.metrics_lag
    step = _GRAINS[grain]
    first = math.floor(start / step) * step
    samples = [one for one in vm.guest.minute_samples(first, end) if one.start + 60 <= ingested]
    bins = [first + step * index for index in range(max(math.ceil((end - first) / step), 1))]
    given = query.get("aggregation")
    value = [
        {
            "id": f"{vm.id(cloud.subscription)}/providers/Microsoft.Insights/metrics/{metric.name}",
            "type": "Microsoft.Insights/metrics",
            "name": {"value": metric.name, "localizedValue": metric.name},
            "displayDescription": metric.description,
            "unit": metric.unit,
            "timeseries": [
                {"metadatavalues": [], "data": data(metric, samples, bins, step, _aggregations(given, metric))}
            ],
            "errorCode": "Success",
        }
        for metric in metrics
    ]
    return Response(
        body={
            "cost": len(bins) - 1,
            "timespan": f"{zulu(start)}/{zulu(end)}",
            "interval": grain,
            "value": value,
            "namespace": _NAMESPACE,
            "resourceregion": cloud.location,
        }
    )


def data(
    metric: Metric, samples: Sequence[MinuteSample], bins: Sequence[float], step: float, aggregations: Sequence[str]
) -> list[dict[str, Any]]:
    """One datum per bin: its time stamp, and the aggregations when a minute in it has a value."""
    by_bin: dict[float, list[float]] = {}
    for sample in samples:
        value = metric.value(sample)
        if value is not None:
            by_bin.setdefault(math.floor(sample.start / step) * step, []).append(value)
    found: list[dict[str, Any]] = []
    for start in bins:
        values = by_bin.get(start)
        datum: dict[str, Any] = {"timeStamp": zulu(start)}
        if values:
            datum.update({name: round(_AGGREGATIONS[name](values), 4) for name in aggregations})
        found.append(datum)
    return found


def _metric(name: str) -> Metric:
    for metric in METRICS:
        if metric.name.lower() == name.lower():
            return metric
    valid = ",".join(metric.name for metric in METRICS)
    raise MonitorError(
        400,
        "BadRequest",
        "Failed to find metric configuration for provider: Microsoft.Compute, resource Type: virtualMachines, "
        f"metric: {name}, Valid metrics: {valid}",
    )


def _aggregations(given: str | None, metric: Metric) -> list[str]:
    names = [name.strip().lower() for name in (given or metric.primary).split(",") if name.strip()]
    for name in names:
        if name not in _AGGREGATIONS:
            raise MonitorError(400, "BadRequest", f"Invalid aggregation: {name}.")
    return names


def _timespan(given: str, now: float) -> tuple[float, float]:
    if not given:
        return now - _HOUR, now
    try:
        head, slash, tail = given.partition("/")
        if not slash:
            return now - _seconds(head), now
        start = parse(head) if not head.startswith("P") else parse(tail) - _seconds(head)
        end = parse(tail) if not tail.startswith("P") else start + _seconds(tail)
    except ValueError as error:
        raise MonitorError(400, "BadRequest", f"Detect invalid timespan input: {given}") from error
    if end <= start:
        raise MonitorError(400, "BadRequest", "The start time must be before the end time.")
    return start, end


def _seconds(duration: str) -> float:
    found = _DURATION.fullmatch(duration)
    if not found or not any(found.groups()):
        raise ValueError(duration)
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def list_definitions(cloud: Cloud, request: Request) -> Response:
    """GET metricDefinitions."""
    vm = vm_of(cloud, request)
    identity = vm.id(cloud.subscription)
    value = [
        {
            "id": f"{identity}/providers/microsoft.insights/metricdefinitions/{metric.name}",
            "resourceId": identity,
            "namespace": _NAMESPACE,
            "name": {"value": metric.name, "localizedValue": metric.name},
            "displayDescription": metric.description,
            "isDimensionRequired": False,
            "unit": metric.unit,
            "primaryAggregationType": metric.primary,
            "supportedAggregationTypes": ["None", "Average", "Minimum", "Maximum", "Total", "Count"],
            "metricAvailabilities": [{"timeGrain": grain, "retention": "P93D"} for grain in _GRAINS],
        }
        for metric in METRICS
    ]
    return Response(body={"value": value})


def list_namespaces(cloud: Cloud, request: Request) -> Response:
    """GET metricNamespaces."""
    vm = vm_of(cloud, request)
    entry = {
        "id": f"{vm.id(cloud.subscription)}/providers/microsoft.insights/metricNamespaces/{_NAMESPACE}",
        "name": "Virtual Machine Host",
        "type": "Microsoft.Insights/metricNamespaces",
        "classification": "Platform",
        "properties": {"metricNamespaceName": _NAMESPACE},
    }
    return Response(body={"value": [entry]})


ROUTES = (
    Route("GET", _PROVIDER + "/metrics", list_metrics),
    Route("GET", _PROVIDER + "/metricDefinitions", list_definitions),
    Route("GET", _PROVIDER + "/metricNamespaces", list_namespaces),
)
