package invoke

// WithFirstID has a client begin its calls' ids with id.
func WithFirstID(cfg ClientConfig, id uint64) ClientConfig {
	cfg.firstID = &id
	return cfg
}
