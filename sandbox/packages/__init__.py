"""Plugin packages that strangers made: checked in memory, then installed in one step.

`archive` turns the bytes of a `{plugin}.{PPP}.tgz` (or `.zip`) into a checked `Package`;
`install` puts one into a plugin folder so that, whatever happens, either the old version or the
new one is there.  The rules: `names` for names, `caps` for sizes, `tars` and `zips` for the two
formats, `payload` for what files hold, `manifests` for what a package says of itself.
Nothing of a package is run, unpacked by a library or written before all of it was checked.
"""
