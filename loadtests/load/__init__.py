"""The three users and their mix, as scenarios of a load tool."""
