package cli

import (
	"encoding/json"
	"fmt"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// PrintStats writes on one line of stderr what the command has asked of the store's storage so far; as an object where
// the log is one. A store that does not count prints nothing.
func (e *Env) PrintStats() error {
	u, ok := store.UsageOf(e.Store)
	if !ok {
		return nil
	}
	line := []byte("storage: " + u.String())
	if e.jsonLog {
		var err error
		if line, err = json.Marshal(statsLine{"storage", u.Requests(), u.Reads, u.Writes, u.Lists, u.Deletes,
			u.BytesRead, u.BytesWritten}); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(e.Stderr, "%s\n", line)
	return err
}

// A statsLine stands among the lines of a log in JSON, which have "msg" too.
type statsLine struct {
	Message      string `json:"msg"`
	Requests     int64  `json:"requests"`
	Reads        int64  `json:"reads"`
	Writes       int64  `json:"writes"`
	Lists        int64  `json:"lists"`
	Deletes      int64  `json:"deletes"`
	BytesRead    int64  `json:"bytes_read"`
	BytesWritten int64  `json:"bytes_written"`
}

// statsHelp describes the flag of the commands that print it.
const statsHelp = "print how many requests to the storage were made, and the bytes that they moved"
