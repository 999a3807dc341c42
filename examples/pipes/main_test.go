package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/pipestest"
)

// childVar makes this test program the example.
const childVar = "PIPES_EXAMPLE"

func TestMain(m *testing.M) {
	if text := os.Getenv(childVar); text != "" {
		os.Args = append(os.Args[:1], strings.Fields(text)...)
		main()
	}
	os.Exit(m.Run())
}

func Test(t *testing.T) {
	t.Parallel()
	env, messages := pipestest.Env(t, pipes.ContextData{RunID: "r", AssetKeys: []string{"words"}})
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), env...), childVar+"=to be or not")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sent := messages()
	if err := pipestest.Check(sent); err != nil {
		t.Fatal(err)
	}
	var report string
	for _, m := range sent {
		if m.Method == pipes.MethodMaterialize {
			report = string(m.Params)
		}
	}
	if !strings.Contains(report, `"words":{"type":"int","raw_value":4}`) {
		t.Errorf("materialization %s", report)
	}
}

func TestByHand(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"=to be")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "words=2") {
		t.Errorf("%v\n%s", err, out)
	}
}
