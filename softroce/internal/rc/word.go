package rc

// wordBytes is the size of what atomics work on, and of what a program may watch
// (transport.FeatureWatchMemory).
const wordBytes = 8
