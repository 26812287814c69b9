module.add_timer(1, lambda now: None)
