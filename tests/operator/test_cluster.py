"""What the door to the cluster decides without asking anybody."""

import pytest

from sales_operator.cluster import ClusterError, _resource


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/apis/minidata.io/v1alpha1/salesingests", "salesingests"),
        ("/apis/minidata.io/v1alpha1/namespaces/sales/salesingests", "salesingests"),
        ("/apis/minidata.io/v1alpha1/namespaces/sales/salesingests/daily/status", "salesingests"),
        ("/apis/minidata.io/v1alpha1/namespaces/sales/salesingests/v1", "salesingests"),
        ("/apis/minidata.io/v1alpha1/namespaces/v1/salesingests/v1/status", "salesingests"),
        ("/apis/batch/v1/jobs", "jobs"),
        ("/apis/batch/v1/namespaces/sales/cronjobs/daily", "cronjobs"),
        ("/apis/coordination.k8s.io/v1/namespaces/minidata/leases/sales-operator", "leases"),
        ("/api/v1/pods", "pods"),
        ("/api/v1/namespaces/sales/events", "events"),
    ],
)
def test_metric_names_the_kind_of_a_request_and_no_object(path, resource):
    assert _resource(path) == resource


@pytest.mark.parametrize(
    ("status", "is_lasting"),
    [(0, False), (500, False), (503, False), (408, False), (409, False), (429, False)]
    + [(status, True) for status in (400, 401, 403, 404, 422)],
)
def test_refusal_lasts_where_the_same_request_would_be_refused_again(status, is_lasting):
    assert ClusterError("no", status).is_lasting is is_lasting
