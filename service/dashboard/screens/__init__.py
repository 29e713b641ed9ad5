"""The screens, one file each: what has SCREENS is found."""
