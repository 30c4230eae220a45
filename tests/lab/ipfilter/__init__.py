"""IP Filter v4.1.9 as illumos has it: NAT rules, filter rules, and how both meet packets [services 1]."""
