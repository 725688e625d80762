"""The commands: flags, exit statuses, output."""
