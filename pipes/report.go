package pipes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

var (
	// ErrInvalid is wrapped by errors about a report that was not sent because Dagster would not take it; one such
	// message would make its reader drop all later ones.
	ErrInvalid = errors.New("pipes: invalid report")
	// ErrReported is wrapped by the error of a second materialization of one asset.
	ErrReported = errors.New("pipes: asset was materialized already")
	// ErrClosed is wrapped by errors of reports on a closed session.
	ErrClosed = errors.New("pipes: session is closed")
)

// A Materialization describes one written asset.
type Materialization struct {
	// AssetKey is the asset's escaped key; "" means the step's only asset.
	AssetKey string
	// DataVersion is the version of the asset's data; "" means that Dagster makes one up.
	DataVersion string
	// Metadata are values to show; nil means none.
	Metadata Metadata
}

// A CheckResult describes one evaluated asset check. The asset has to declare the check, or Dagster fails the step.
type CheckResult struct {
	// AssetKey is the asset's escaped key; "" means the step's only asset.
	AssetKey string
	// Name is the check's name; "" is refused.
	Name string
	// Passed is the outcome; false means that the check failed.
	Passed bool
	// Severity says how much a failure matters; the zero value is SeverityError.
	Severity Severity
	// Metadata are values to show; nil means none.
	Metadata Metadata
}

// Severity says how much a failed check matters.
type Severity int

// The severities.
const (
	SeverityError Severity = iota // the asset is wrong
	SeverityWarn                  // the asset is doubtful
)

// String returns the severity as the protocol spells it, "" if it is not one of the constants.
func (s Severity) String() string {
	switch s {
	case SeverityError:
		return "ERROR"
	case SeverityWarn:
		return "WARN"
	}
	return ""
}

// Stream names a standard stream of this process or one of its children.
type Stream string

// The streams.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

type materializationParams struct {
	AssetKey    string   `json:"asset_key"`
	DataVersion *string  `json:"data_version"`
	Metadata    Metadata `json:"metadata"`
}

type checkParams struct {
	AssetKey  string   `json:"asset_key"`
	CheckName string   `json:"check_name"`
	Passed    bool     `json:"passed"`
	Severity  string   `json:"severity"`
	Metadata  Metadata `json:"metadata"`
}

type logParams struct {
	Message string `json:"message"`
	Level   string `json:"level"`
}

type streamParams struct {
	Stream Stream   `json:"stream"`
	Text   string   `json:"text"`
	Extras struct{} `json:"extras"`
}

type customParams struct {
	Payload any `json:"payload"`
}

// Materialize reports that an asset was written. It returns an error wrapping [ErrScope] when the asset is not one of
// the step's, [ErrReported] when it was reported before, and [ErrInvalid] when the report itself is wrong. A report
// whose delivery failed may be repeated. Metadata that the channel does not carry whole is shortened, see
// [ShortenedKey].
func (s *Session) Materialize(ctx context.Context, m Materialization) error {
	p := materializationParams{AssetKey: m.AssetKey, Metadata: m.Metadata}
	err := errors.Join(checkName("data version", m.DataVersion), s.checkReport(&p.AssetKey, &p.Metadata))
	if err != nil {
		return fmt.Errorf("report materialization: %w", err)
	}
	if m.DataVersion != "" {
		p.DataVersion = &m.DataVersion
	}
	message, err := s.encodeReport(MethodMaterialize, p.Metadata, func(m Metadata) any { p.Metadata = m; return p })
	if err != nil {
		return fmt.Errorf("report materialization of %q: %w", p.AssetKey, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attached && s.materialized[p.AssetKey] {
		return fmt.Errorf("report materialization of %q: %w", p.AssetKey, ErrReported)
	}
	s.flush()
	if err := s.write(ctx, message); err != nil {
		return fmt.Errorf("report materialization of %q: %w", p.AssetKey, err)
	}
	s.materialized[p.AssetKey] = true
	return nil
}

// Check reports the outcome of an asset check. Its errors are those of Materialize; a check may be reported again.
func (s *Session) Check(ctx context.Context, c CheckResult) error {
	p := checkParams{
		AssetKey: c.AssetKey, CheckName: c.Name, Passed: c.Passed, Severity: c.Severity.String(), Metadata: c.Metadata,
	}
	err := errors.Join(checkName("check name", c.Name), s.checkReport(&p.AssetKey, &p.Metadata))
	if c.Name == "" {
		err = errors.Join(err, fmt.Errorf("%w: the check has no name", ErrInvalid))
	}
	if p.Severity == "" {
		err = errors.Join(err, fmt.Errorf("%w: unknown severity %d", ErrInvalid, int(c.Severity)))
	}
	if err != nil {
		return fmt.Errorf("report check %q: %w", c.Name, err)
	}
	message, err := s.encodeReport(MethodCheck, p.Metadata, func(m Metadata) any { p.Metadata = m; return p })
	if err == nil {
		err = s.deliver(ctx, message)
	}
	if err != nil {
		return fmt.Errorf("report check %q: %w", c.Name, err)
	}
	return nil
}

// Send reports a custom payload, any value that encodes to JSON. The Dagster side finds it in get_custom_messages.
func (s *Session) Send(ctx context.Context, payload any) error {
	if err := s.send(ctx, MethodCustom, customParams{payload}); err != nil {
		return fmt.Errorf("send custom message: %w", err)
	}
	return nil
}

// Forward passes a piece of a process's output on to the step's own. Invalid UTF-8 is replaced; a newline is not added;
// a large text is sent in several messages.
func (s *Session) Forward(ctx context.Context, stream Stream, text string) error {
	if stream != Stdout && stream != Stderr {
		return fmt.Errorf("forward output: %w: expected the stream stdout or stderr, got %q", ErrInvalid, stream)
	}
	for _, piece := range split(validText(text), min(s.limit, maxPiece)-envelope) {
		err := s.send(ctx, MethodExternalStream, streamParams{Stream: stream, Text: piece})
		if err != nil {
			return fmt.Errorf("forward output: %w", err)
		}
	}
	return nil
}

// checkReport resolves the asset of a report and checks its metadata. Empty metadata becomes nil, as in Python.
func (s *Session) checkReport(key *string, metadata *Metadata) error {
	var errs []error
	if err := checkName("asset key", *key); err != nil {
		errs = append(errs, err)
	} else if s.attached {
		resolved, err := s.data.resolveAsset(*key)
		errs = append(errs, err)
		*key = resolved
	}
	for name, v := range *metadata {
		if err := checkText("metadata name", name); err != nil {
			errs = append(errs, err)
		} else if err := v.Err(); err != nil {
			errs = append(errs, fmt.Errorf("%w: metadata %q: %w", ErrInvalid, name, err))
		}
	}
	if len(*metadata) == 0 {
		*metadata = nil
	}
	return errors.Join(errs...)
}

// checkName refuses text that Dagster's database cannot hold in a column of its own.
func checkName(what, text string) error {
	if strings.ContainsRune(text, 0) {
		return fmt.Errorf("%w: %s %q holds a NUL character", ErrInvalid, what, shorten(text, 100))
	}
	return checkText(what, text)
}

// checkText refuses text that is not valid UTF-8.
func checkText(what, text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%w: %s %q is not valid UTF-8", ErrInvalid, what, shorten(text, 100))
	}
	return nil
}
