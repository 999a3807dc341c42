package metaxy

import (
	"os"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// jobIndexVar is the variable in which Kubernetes tells a pod of an Indexed Job its number.
const jobIndexVar = "JOB_COMPLETION_INDEX"

// pipesParams finds what Dagster has left in the environment. The pods of a Job have one environment between them, so
// where the values differ, such as the places of their messages in an object store, a value stands in a variable of its
// own for each pod: DAGSTER_PIPES_MESSAGES_0, DAGSTER_PIPES_MESSAGES_1 and so on.
func pipesParams() pipes.EnvParams { return pipes.EnvParams{Lookup: lookupByIndex} }

// lookupByIndex returns the variable of this pod's number if there is one, or else the one that all share.
func lookupByIndex(name string) (string, bool) {
	if index, ok := os.LookupEnv(jobIndexVar); ok {
		if value, ok := os.LookupEnv(name + "_" + index); ok {
			return value, true
		}
	}
	return os.LookupEnv(name)
}

// isPipesVar reports whether a variable is one of those by which Dagster launches a process, of whatever number.
func isPipesVar(name string) bool {
	for _, own := range []string{pipes.ContextVar, pipes.MessagesVar} {
		if rest, ok := strings.CutPrefix(name, own); ok && (rest == "" || rest[0] == '_') {
			return true
		}
	}
	return false
}
