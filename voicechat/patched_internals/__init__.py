"""Table of all internals of other packages that this app replaces or relies on. Values only.

`patches.py` installs the replacements. `tests/project/test_patches.py` compares the table with the installed packages:
after an upgrade it names every target that changed. Standard browser functions that the page wraps
(`RTCPeerConnection`, `getUserMedia`, `fetch`) belong to no package and are not listed.
"""

from .internal_use import PINNED_VERSIONS, InternalUse, package_of
from .web_server import WEB_SERVER_USES
from .webrtc import WEBRTC_USES

__all__ = ["INTERNAL_USES", "PINNED_VERSIONS", "InternalUse", "package_of"]

INTERNAL_USES = WEBRTC_USES + WEB_SERVER_USES
