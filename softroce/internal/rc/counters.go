package rc

// Counters count events. They are plain numbers, for the driver only; any
// number of queue pairs of one driver may share them.
type Counters struct {
	DataSent      uint64 `json:"data_sent"`      // request packets sent for the first time
	Retransmitted uint64 `json:"retransmitted"`  // request packets sent again
	Probes        uint64 `json:"probes"`         // packets sent again only to ask for an acknowledgement
	ResponsesSent uint64 `json:"responses_sent"` // READ responses and atomic acknowledgements, replays included
	AcksSent      uint64 `json:"acks_sent"`
	BytesSent     uint64 `json:"bytes_sent"`     // payload of the packets above, each time
	BytesReceived uint64 `json:"bytes_received"` // payload stored in memory

	RequestsReceived  uint64 `json:"requests_received"`  // request packets carried out
	ResponsesReceived uint64 `json:"responses_received"` // READ responses and atomic acknowledgements used
	AcksReceived      uint64 `json:"acks_received"`

	SequenceNAKsSent            uint64 `json:"sequence_naks_sent"`
	InvalidRequestNAKsSent      uint64 `json:"invalid_request_naks_sent"`
	RemoteAccessNAKsSent        uint64 `json:"remote_access_naks_sent"`
	RemoteOperationNAKsSent     uint64 `json:"remote_operation_naks_sent"`
	RNRNAKsSent                 uint64 `json:"rnr_naks_sent"`
	SequenceNAKsReceived        uint64 `json:"sequence_naks_received"`
	InvalidRequestNAKsReceived  uint64 `json:"invalid_request_naks_received"`
	RemoteAccessNAKsReceived    uint64 `json:"remote_access_naks_received"`
	RemoteOperationNAKsReceived uint64 `json:"remote_operation_naks_received"`
	RNRNAKsReceived             uint64 `json:"rnr_naks_received"`

	Timeouts        uint64 `json:"timeouts"`         // retransmission timeouts
	Duplicates      uint64 `json:"duplicates"`       // request packets that had been carried out before
	OutOfOrder      uint64 `json:"out_of_order"`     // request packets that came too early
	StaleAcks       uint64 `json:"stale_acks"`       // acknowledgements and responses of what is not outstanding
	LostResponses   uint64 `json:"lost_responses"`   // times that a READ or atomic was repeated because a later packet was acknowledged
	ReplayedReads   uint64 `json:"replayed_reads"`   // READ requests answered again
	ReplayedAtomics uint64 `json:"replayed_atomics"` // atomics answered again, from what was saved
	InvalidPackets  uint64 `json:"invalid_packets"`  // packets that make no sense, and were dropped
}
