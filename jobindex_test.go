package metaxy

import (
	"slices"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

func TestLookupByIndex(t *testing.T) {
	t.Setenv(pipes.ContextVar, "shared")
	t.Setenv(pipes.MessagesVar+"_1", "one")
	t.Setenv(pipes.MessagesVar+"_11", "eleven")
	for _, test := range []struct{ index, name, want string }{
		{"1", pipes.MessagesVar, "one"},
		{"11", pipes.MessagesVar, "eleven"},
		{"1", pipes.ContextVar, "shared"},
		{"2", pipes.MessagesVar, ""},
	} {
		t.Setenv(jobIndexVar, test.index)
		if got, ok := lookupByIndex(test.name); got != test.want || ok != (test.want != "") {
			t.Errorf("index %s, %s: %q, %t; want %q", test.index, test.name, got, ok, test.want)
		}
	}
}

func TestChildrenOfJobsGetNoPipesVariables(t *testing.T) {
	t.Parallel()
	environ := []string{"A=1", pipes.MessagesVar + "_3=x", pipes.ContextVar + "_0=x", pipes.ContextVar + "=x", "DAGSTER_PIPES_MESSAGESX=1"}
	if got, want := childEnv(environ, nil), []string{"A=1", "DAGSTER_PIPES_MESSAGESX=1"}; !slices.Equal(got, want) {
		t.Errorf("child's environment: %q, want %q", got, want)
	}
}
