"""Asks a node with somebody else's AuthZEN client, unchanged: `decern`, from PyPI.

Reads JSON from standard input: {"url": ..., "cases": [{"request": {...}, "expected": true}, ...]}. Prints how many
answers there were; says what differs and fails if one does.
"""

import json
import sys

from decern import Client, DecernError


def main() -> int:
    asked = json.load(sys.stdin)
    client = Client(asked["url"], timeout=60)
    different = 0
    for case in asked["cases"]:
        request = case["request"]
        decision = client.evaluate(
            request["subject"], request["action"], request["resource"], request.get("context")
        )
        if decision.allowed != case["expected"]:
            print("differs:", json.dumps(case), decision, file=sys.stderr)
            different += 1
    try:
        client.evaluate({"type": "user"}, "read", {"type": "file", "id": "x"})
        print("an incomplete request is answered", file=sys.stderr)
        different += 1
    except DecernError as error:
        if (error.status_code, error.body) != (400, "subject.id: it is missing"):
            print("the error is told as", error.status_code, error.body, file=sys.stderr)
            different += 1
    print(len(asked["cases"]))
    return 1 if different else 0


sys.exit(main())
