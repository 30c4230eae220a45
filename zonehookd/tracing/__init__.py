"""What happened to a zone, link by link and hop by hop: the timeline, the checklist, the way of a packet."""
