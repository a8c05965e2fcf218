// Package words is how agents tell a manager what has been used: each adds its progress
// to words in the manager's memory with FetchAdd, without the manager's processor.
//
// # The two sides
//
//	Reporter  at an agent: knows absolute values, adds what the manager lacks
//	Server    at the manager: words for each agent, and the ledger that they go to
//
// An agent connects over a transport, with its name, epoch and token. The server makes
// a protection domain and a region for it, which no other agent and no tenant reaches.
// A row of the region has a word for each quantity, of one tenant in one epoch of the
// agent, twice: measured, and claimed. The agent asks for rows by message.
//
// # Exactly once
//
// One add is in flight for a word, so that its outcome is known, or that of one add is
// not. When the connection is lost, the server first ends the old queue pair, and with it
// the adds that could still arrive; only then it makes rows of a new region, with the
// values of the old one. The agent reads its words there and adds the difference to what
// it knows. The server writes absolute values to its ledger, and begins with those of the
// ledger after a restart: what is missing then, agents find when they read.
// An agent that is to forget an account, one of an epoch that is over, asks for its row
// once more: the server answers when the words are in the ledger.
package words
