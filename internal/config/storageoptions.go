package config

import (
	"slices"
	"strings"
)

// readS3 reads storage_options in the spellings that delta-rs knows, with and without the aws_ prefix, in any case.
func readS3(c *Config, st *StoreConfig, s *section) {
	o := &st.S3
	for _, key := range s.keys() {
		switch name := strings.TrimPrefix(strings.ToLower(key), "aws_"); name {
		case "access_key_id":
			o.AccessKeyID = s.text(key)
		case "secret_access_key":
			o.SecretAccessKey = s.text(key)
		case "session_token", "token":
			o.SessionToken = s.text(key)
		case "region", "default_region":
			if region := s.text(key); o.Region == "" || name == "region" {
				o.Region = region
			}
		case "endpoint", "endpoint_url", "endpoint_url_s3":
			if url := s.text(key); o.Endpoint == "" || name != "endpoint" {
				o.Endpoint = url
			}
		case "allow_http":
			o.AllowHTTP = s.boolean(key)
		case "virtual_hosted_style_request":
			path := !s.boolean(key)
			o.PathStyle = &path
		default:
			judgeOption(c, s, key, name)
		}
	}
}

// judgeOption refuses an option that says how rows are to be kept or how to be let in, since passing over it would do
// something else than was asked for, and warns of others.
func judgeOption(c *Config, s *section, key, name string) {
	refused := slices.ContainsFunc(refusedOptions, func(o string) bool { return strings.HasPrefix(name, o) })
	switch {
	case refused:
		s.fail(key, "is not supported here, and cannot be passed over; remove it, or use Metaxy for this store")
	case !slices.Contains(deltaOnly, name):
		c.warn("%s has no effect here", s.path(key))
	}
}

// refusedOptions are the beginnings of options about encryption, payment, other credentials and ways around TLS.
var refusedOptions = []string{
	"server_side_encryption", "sse_", "skip_signature", "request_payer", "s3_express", "allow_invalid_certificates", "proxy_",
	"iam_role", "s3_assume_role", "assume_role", "web_identity_token", "container_credentials", "container_authorization",
}

// deltaOnly are options of delta-rs about safe commits on S3, which we always make.
var deltaOnly = []string{
	"s3_allow_unsafe_rename", "conditional_put", "copy_if_not_exists", "s3_locking_provider", "delta_dynamo_table_name",
}
