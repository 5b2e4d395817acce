"""Parts of the Meta tag, one per part of its payload; the tag itself is meta_conversions.py."""
