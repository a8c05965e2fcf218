package alloc

// Told says whether the manager tells what is free.
func (c *Client) Told() bool { return c.told() }
