"""The lab's layer-2 agents: one process that speaks for the Open vSwitch agent of every simulated host."""
