"""The resources, behind access tokens verified offline."""
