# A library of this plugin: MSX content pages.  `import pages` gives what is defined here; each
# request runs this file anew.

import json


def listed(headline, items):
    """A list page: one button per item."""
    return json.dumps(
        {
            "type": "list",
            "headline": headline,
            "template": {"type": "separate", "layout": "0,0,3,2", "color": "msx-glass"},
            "items": items,
        },
        ensure_ascii=False,
    )
