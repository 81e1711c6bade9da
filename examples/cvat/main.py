"""A function of CVAT's automatic annotation: polygons from a DiffusionInst server (docs/serve.md).

DIFFUSIONINST_URL is the server, DIFFUSIONINST_TOKEN its token if it has one, DIFFUSIONINST_QUERY more
options of /v1/segment, such as score=0.4&steps=4.
"""

import base64
import json
import os
import urllib.request


def init_context(context):
    context.user_data.url = (
        os.environ["DIFFUSIONINST_URL"].rstrip("/")
        + "/v1/segment?mask=polygons&tolerance=1&"
        + os.environ.get("DIFFUSIONINST_QUERY", "")
    )


def handler(context, event):
    data = event.body
    if isinstance(data, (bytes, str)):
        data = json.loads(data)
    request = urllib.request.Request(context.user_data.url, data=base64.b64decode(data["image"]))
    request.add_header("Content-Type", "application/octet-stream")
    if token := os.environ.get("DIFFUSIONINST_TOKEN"):
        request.add_header("Authorization", "Bearer " + token)
    with urllib.request.urlopen(request, timeout=120) as answer:
        instances = json.load(answer)["instances"]
    threshold = float(data.get("threshold", 0))
    shapes = [
        {"type": "polygon", "label": i["category"], "confidence": str(i["score"]), "points": polygon}
        for i in instances
        if i["score"] >= threshold
        for polygon in i["segmentation"]
    ]
    return context.Response(
        body=json.dumps(shapes), headers={}, content_type="application/json", status_code=200
    )
