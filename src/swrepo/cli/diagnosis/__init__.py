"""What `swrepo doctor` looks at, one concern a module. Nothing here touches a mounted directory or changes anything."""
