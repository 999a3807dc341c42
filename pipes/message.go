package pipes

import "encoding/json"

// ProtocolVersion is the version that every message carries.
const ProtocolVersion = "0.1"

// A Message is one protocol message as it appears on the wire.
type Message struct {
	// Version is the protocol's version; sessions always send [ProtocolVersion].
	Version string `json:"__dagster_pipes_version"`
	// Method says what is reported; "" is not a valid message.
	Method Method `json:"method"`
	// Params is the JSON object of the method's parameters; nil stands for null, which no session sends.
	Params json.RawMessage `json:"params"`

	line []byte // what Line returns, if it is known already
}

// Method names the event that a Message reports.
type Method string

// The methods that the orchestrator knows.
const (
	MethodOpened         Method = "opened"
	MethodClosed         Method = "closed"
	MethodLog            Method = "log"
	MethodMaterialize    Method = "report_asset_materialization"
	MethodCheck          Method = "report_asset_check"
	MethodCustom         Method = "report_custom_message"
	MethodExternalStream Method = "log_external_stream"
)

// Line returns the message as the line that a channel carries: JSON in ASCII, ended by a newline, with no other
// newline inside. It refuses parameters that would stop the orchestrator's reader or that it could not store: invalid
// UTF-8, lone surrogates, nesting deeper than 100 levels, integers longer than 4300 digits. The bytes of a message that
// comes from a session are shared and must not be changed.
func (m *Message) Line() ([]byte, error) {
	if m.line != nil {
		return m.line, nil
	}
	return encodeLine(m)
}
