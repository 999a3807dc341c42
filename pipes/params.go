package pipes

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// The names of the two bootstrap values in the environment, and in a mapping.
const (
	ContextVar  = "DAGSTER_PIPES_CONTEXT"
	MessagesVar = "DAGSTER_PIPES_MESSAGES"
)

// maxParams bounds what a bootstrap value may unpack to, so that a broken one cannot fill the memory.
const maxParams = 256 << 20

// ErrNotPipes is returned by a [ParamsLoader] when no orchestrator launched this process.
var ErrNotPipes = errors.New("pipes: process was not launched by Dagster Pipes")

// A ParamsLoader finds the two bootstrap payloads that the orchestrator left for this process. Without the context
// payload it returns an error wrapping [ErrNotPipes]; a context payload without a messages payload is another error.
type ParamsLoader interface {
	LoadParams() (contextParams, messagesParams json.RawMessage, err error)
}

// Detect reports whether the environment says that Dagster Pipes launched this process.
func Detect() bool {
	_, ok := os.LookupEnv(ContextVar)
	return ok
}

// EnvParams loads the bootstrap payloads from environment variables.
type EnvParams struct {
	// Lookup finds a variable; nil means os.LookupEnv.
	Lookup func(name string) (string, bool)
}

// LoadParams implements [ParamsLoader].
func (p EnvParams) LoadParams() (contextParams, messagesParams json.RawMessage, err error) {
	lookup := p.Lookup
	if lookup == nil {
		lookup = os.LookupEnv
	}
	return loadParams(lookup, func(name string) string { return "environment variable " + name })
}

// MapParams loads the bootstrap payloads from the top level of a map, such as the event of an AWS Lambda function.
// Other keys are ignored.
type MapParams map[string]any

// LoadParams implements [ParamsLoader].
func (p MapParams) LoadParams() (contextParams, messagesParams json.RawMessage, err error) {
	for _, name := range []string{ContextVar, MessagesVar} {
		if v, ok := p[name]; ok {
			if _, isString := v.(string); !isString {
				return nil, nil, fmt.Errorf("read key %s: expected a string, got %T", name, v)
			}
		}
	}
	lookup := func(name string) (string, bool) {
		text, ok := p[name].(string)
		return text, ok
	}
	return loadParams(lookup, func(name string) string { return "key " + name })
}

// ArgParams loads the bootstrap payloads from the command line options --dagster-pipes-context and
// --dagster-pipes-messages, each followed by its value or joined to it by "=". Other arguments are ignored, and so is
// everything after a "--".
type ArgParams struct {
	// Args are the program's arguments without its name; nil means those of this process.
	Args []string
}

// LoadParams implements [ParamsLoader].
func (p ArgParams) LoadParams() (contextParams, messagesParams json.RawMessage, err error) {
	args := p.Args
	if args == nil {
		args = os.Args[1:]
	}
	lookup := func(name string) (string, bool) { return argument(args, option(name)) }
	return loadParams(lookup, func(name string) string { return "option " + option(name) })
}

// Rest returns the arguments without the two options and their values, for the program's own parser.
func (p ArgParams) Rest() []string {
	args := p.Args
	if args == nil {
		args = os.Args[1:]
	}
	rest := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		switch name, _, joined := strings.Cut(args[i], "="); {
		case args[i] == "--":
			return append(rest, args[i:]...)
		case name != option(ContextVar) && name != option(MessagesVar):
			rest = append(rest, args[i])
		case !joined:
			i++ // its value
		}
	}
	return rest
}

// option returns the command line spelling of a bootstrap name.
func option(name string) string {
	return "--" + strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// argument returns the value of the last occurrence of an option, which is "" if nothing follows it.
func argument(args []string, option string) (value string, ok bool) {
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if arg == option {
			value, ok = "", true
			if i+1 < len(args) {
				value = args[i+1]
			}
		} else if joined, found := strings.CutPrefix(arg, option+"="); found {
			value, ok = joined, true
		}
	}
	return value, ok
}

// AnyParams asks loaders in order and takes the first that finds payloads.
type AnyParams []ParamsLoader

// LoadParams implements [ParamsLoader].
func (p AnyParams) LoadParams() (contextParams, messagesParams json.RawMessage, err error) {
	for _, loader := range p {
		contextParams, messagesParams, err = loader.LoadParams()
		if !errors.Is(err, ErrNotPipes) {
			return contextParams, messagesParams, err
		}
	}
	return nil, nil, ErrNotPipes
}

// loadParams decodes both payloads; place names the place of one in errors.
func loadParams(
	lookup func(string) (string, bool), place func(string) string,
) (contextParams, messagesParams json.RawMessage, err error) {
	text, ok := lookup(ContextVar)
	if !ok {
		return nil, nil, ErrNotPipes
	}
	if contextParams, err = DecodeParams(text); err != nil {
		return nil, nil, fmt.Errorf("decode %s: %w", place(ContextVar), err)
	}
	if text, ok = lookup(MessagesVar); !ok {
		return nil, nil, fmt.Errorf("find %s: it is missing, although the context is there; pass both on",
			place(MessagesVar))
	}
	if messagesParams, err = DecodeParams(text); err != nil {
		return nil, nil, fmt.Errorf("decode %s: %w", place(MessagesVar), err)
	}
	return contextParams, messagesParams, nil
}

// DecodeParams unpacks one bootstrap value: base64 of a zlib stream of a JSON object.
func DecodeParams(text string) (json.RawMessage, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, errors.New("value is empty; expected base64 of zlib-compressed JSON from Dagster")
	}
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("read base64: %w", err)
	}
	size, err := unpack(io.Discard, packed)
	if err != nil {
		return nil, err
	}
	data := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := unpack(data, packed); err != nil {
		return nil, err
	}
	if _, err := decodeObject(data.Bytes()); err != nil {
		return nil, err
	}
	return data.Bytes(), nil
}

// unpack writes what a zlib stream holds, and returns how many bytes that is. It is called twice, so that no memory is taken
// before the length is known: a few hundred bytes can unpack to millions.
func unpack(w io.Writer, packed []byte) (int64, error) {
	r, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return 0, fmt.Errorf("read zlib stream: %w", err)
	}
	n, err := io.Copy(w, io.LimitReader(r, maxParams+1))
	if err != nil {
		return n, fmt.Errorf("read zlib stream: %w", err)
	}
	if n > maxParams {
		return n, fmt.Errorf("value unpacks to more than %d bytes; choose a context injector that writes a file", maxParams)
	}
	return n, nil
}

// EncodeParams packs a bootstrap value, as the orchestrator does. Programs need it in tests and to launch others.
func EncodeParams(v any) (string, error) {
	data, err := marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode params: %w", err)
	}
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	if _, err := w.Write(data); err != nil {
		return "", fmt.Errorf("compress params: %w", err)
	}
	if err := w.Close(); err != nil {
		return "", fmt.Errorf("compress params: %w", err)
	}
	return base64.StdEncoding.EncodeToString(packed.Bytes()), nil
}
