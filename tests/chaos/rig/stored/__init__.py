"""What a node keeps on its disk, read by programs of the rig's own: which bytes of it the node would use."""
