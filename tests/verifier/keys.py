"""Keys and signatures (docs/format.md, section 3): Ed25519, strict.

The signature equation is left to the `cryptography` library. What the page asks for beyond it is done here on the
integers, in the plainest way: which points keys may be, and which signatures are refused although the equation holds.
Arithmetic on public values only, so it need not take constant time.
"""

from __future__ import annotations

from functools import cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from codec import tag, tagged_hash

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)

# A point (x, y) of -x² + y² = 1 + D x² y² as (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z.
Point = tuple[int, int, int, int]
NEUTRAL: Point = (0, 1, 1, 0)


def add(p: Point, q: Point) -> Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar: int, p: Point) -> Point:
    product = NEUTRAL
    while scalar:
        if scalar & 1:
            product = add(product, p)
        p = add(p, p)
        scalar >>= 1
    return product


def is_neutral(p: Point) -> bool:
    return p[0] % P == 0 and (p[1] - p[2]) % P == 0


def decode_point(data: bytes) -> Point | None:
    """The point of a canonical encoding: y below P, and no sign on x = 0. Every point has just one."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if len(data) != 32 or y >= P:
        return None
    # x² = u/v; the candidate root is right, or wrong by the root of -1, or there is none.
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == -u % P:
        x = x * SQRT_OF_MINUS_1 % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


@cache
def is_sound(key: bytes) -> bool:
    """Whether these bytes may be a key: canonical, not of small order, without a torsion component."""
    point = decode_point(key)
    # Eight times a point of small order is neutral; L times one with a torsion component is not.
    return point is not None and not is_neutral(multiply(8, point)) and is_neutral(multiply(L, point))


# The eight encodings of small order.
SMALL_ORDER = frozenset(
    bytes.fromhex(line)
    for line in """
    0100000000000000000000000000000000000000000000000000000000000000
    ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
    0000000000000000000000000000000000000000000000000000000000000000
    0000000000000000000000000000000000000000000000000000000000000080
    26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05
    26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85
    c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a
    c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa
""".split()
)


@cache
def library_key(key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(key)


def is_signature(key: bytes, signature: bytes, message: bytes) -> bool:
    """Rules 1 to 3 of the page. That R decodes, and canonically, follows from rule 3: it equals an encoding."""
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= L or r in SMALL_ORDER or not is_sound(key):
        return False
    try:
        library_key(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def key_id(key: bytes) -> bytes:
    return tagged_hash("writ/key/v1", key)


@cache
def is_admitted(key: bytes, possession: bytes, chain: bytes) -> bool:
    """Whether a key may be enrolled on this chain (32 zero bytes: in a genesis)."""
    return is_signature(key, possession, tag("writ/possession/v1") + chain + key)


# A signature whose equation holds only after multiplying it by eight. Libraries disagree about such.
ONLY_TIMES_EIGHT = (
    "758b890e14d86cb8ce8eaf22f7061c54801d3f8956784eddeb864b6efffd4e3e",
    (
        "fcf42aaeeaa1b8f27fd5ee479e237787b5604518bd1de1673b73abc1e11923ef"
        "d04e01dfb6ac5ac960ed2214cbc9324b1c66b66b95ee939061b875161099020b"
    ),
    "61206d657373616765",
)


def is_library_fit() -> bool:
    """Whether the installed library computes rule 3 as it stands; asked once, at the start."""
    key, signature, message = (bytes.fromhex(part) for part in ONLY_TIMES_EIGHT)
    try:
        library_key(key).verify(signature, message)
    except InvalidSignature:
        return True
    return False
