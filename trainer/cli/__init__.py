"""The commands of `hypernet`, grouped by what they are about."""
