"""zonelab: an illumos global zone small enough for a test.

One emulator, two floors. `commands/` holds the illumos commands as functions over a `World`; the world's `floor` makes
its changes true: `paper.PaperFloor` keeps them as data, `namespaces.NamespaceFloor` builds bridges, veth pairs and
containers. It knows illumos and nothing else: no file here imports the product, and the product never imports this.

Facts come from three sheets about the illumos sources (zones, network, services); a comment such as
`[zones 3.4]` or `[network 2.5]` names the section. What the lab does not know it refuses loudly.
"""
