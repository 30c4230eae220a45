"""Who says where to look: async iterators of Event, strangers to each other. Each may die; the poll is the floor."""
