//! The manager without I/O: joins the LwM2M front, the fleet and the three loops; emits durable records before effects.
