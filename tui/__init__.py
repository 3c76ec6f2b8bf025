"""The wizard: screens over the headless trainer."""
