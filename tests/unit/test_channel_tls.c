// SPDX-License-Identifier: Apache-2.0
/* test_channel_tls.c - channels by TLS, with certificates that certtool makes. */
#include "channel_fixture.h"

#include "base/bits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>

#define LEN	(8 * MiB)
#define SHORT_MS 200

static char certificates[] = "/tmp/certificates-XXXXXX";
static int accepted;			/* what channel_handshake() said */
static struct err accepted_err;

static void run_shell(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command)) {
		fprintf(stderr, "failed: %s\n", command);
		exit(EXIT_FAILURE);
	}
}

/* An authority, and a host's folder of the same name; more goes into its certificate. */
static void make_folder(const char *name, const char *authority, const char *more)
{
	run_shell("cd %s && mkdir -p %s %s && exec 2> /dev/null && "
		  "{ [ -e %s/ca-cert.pem ] || { "
		  "certtool --generate-privkey --key-type ecdsa --outfile %s.key && "
		  "printf 'cn=%s\\nca\\ncert_signing_key\\n' > ca.cfg && "
		  "certtool --generate-self-signed --load-privkey %s.key --template ca.cfg "
		  "--outfile %s/ca-cert.pem; }; }",
		  certificates, name, authority, authority, authority, authority, authority,
		  authority);
	run_shell("cd %s && exec 2> /dev/null && "
		  "certtool --generate-privkey --key-type ecdsa --outfile %s/key.pem && "
		  "printf 'cn=host\\nip_address=127.0.0.1\\nsigning_key\\n%s' > host.cfg && "
		  "certtool --generate-certificate --load-privkey %s/key.pem --template host.cfg "
		  "--load-ca-certificate %s/ca-cert.pem --load-ca-privkey %s.key "
		  "--outfile %s/cert.pem && "
		  "{ [ %s = %s ] || cp %s/ca-cert.pem %s; }", certificates, name, more, name,
		  authority, authority, name, name, authority, authority, name);
}

static const char *in(const char *name)
{
	static char path[2][64];
	static unsigned turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", certificates, name);
	return path[turn];
}

static void *shake_hands(void *ctx)
{
	(void)ctx;
	accepted = channel_handshake(receiver, &accepted_err);
	/* As one does with a connection that came to nothing. */
	if (accepted)
		receiver = channel_close(receiver);
	return NULL;
}

static void *accept_and_shake_hands(void *ctx)
{
	accept_one();
	return shake_hands(ctx);
}

static const char *with_host(const char *host)
{
	static char uri[64];

	snprintf(uri, sizeof(uri), "tls:%s%s", host,
		 strrchr(channel_listener_address(listener), ':'));
	return uri;
}

static void listen_with(const char *name)
{
	options.tls = in(name);
	listen_at("tls:127.0.0.1:0");
}

/* What channel_connect() says. */
static int try(const char *listening, const char *connecting, const char *host)
{
	pthread_t thread;
	int r;

	listen_with(listening);
	options.tls = in(connecting);
	pthread_create(&thread, NULL, accept_and_shake_hands, NULL);
	r = channel_connect(&sender, with_host(host), &options, &err);
	if (!r)
		r = channel_handshake(sender, &err);
	pthread_join(thread, NULL);
	return r;
}

static void *receive_all(void *to)
{
	return (void *)(intptr_t)channel_receive(receiver, to, LEN);
}

START_TEST(bytes_arrive_in_both_directions)
{
	static uint32_t from[LEN / 4], to[LEN / 4];
	struct iovec segs[] = {
		{ from, 16 }, { (char *)from + 16, 0 }, { (char *)from + 16, 4096 },
		{ (char *)from + 4112, LEN / 2 }, { (char *)from + 4112 + LEN / 2,
						    LEN / 2 - 4112 },
	};
	char got[4] = "";
	pthread_t thread;
	void *failed;

	ck_assert_int_eq(try("a", "b", "127.0.0.1"), 0);
	ck_assert_int_eq(accepted, 0);
	for (unsigned i = 0; i < ARRAY_LEN(from); i++)
		from[i] = i * UINT32_C(2654435761);

	pthread_create(&thread, NULL, receive_all, to);
	ck_assert_int_eq(channel_send(sender, segs, ARRAY_LEN(segs)), 0);
	pthread_join(thread, &failed);
	ck_assert_int_eq(say(receiver, "yes"), 0);
	ck_assert_int_eq(channel_receive(sender, got, 3), 0);

	ck_assert_ptr_null(failed);
	ck_assert_int_eq(memcmp(from, to, LEN), 0);
	ck_assert_str_eq(got, "yes");
}
END_TEST

START_TEST(end_of_the_stream_is_an_error)
{
	char byte;

	ck_assert_int_eq(try("a", "b", "127.0.0.1"), 0);
	sender = channel_close(sender);

	ck_assert_int_eq(channel_receive(receiver, &byte, 1), -ECONNRESET);
}
END_TEST

static void *break_soon(void *ctx)
{
	(void)ctx;
	usleep(20000);
	channel_break(receiver);
	return NULL;
}

START_TEST(break_wakes_who_receives)
{
	pthread_t thread;
	char byte;

	ck_assert_int_eq(try("a", "b", "127.0.0.1"), 0);
	pthread_create(&thread, NULL, break_soon, NULL);

	ck_assert_int_eq(channel_receive(receiver, &byte, 1), -ECANCELED);

	pthread_join(thread, NULL);
}
END_TEST

/* Who listens, who connects to which name, and what either of them says. */
static const struct refusal {
	const char *listens, *connects, *host, *connecting_says, *accepting_says;
} refusals[] = {
	{ "foreign", "a", "127.0.0.1", "our ca-cert.pem has not signed it", "refuses" },
	{ "a", "foreign_cert", "127.0.0.1", "refuses TLS with us", "has not signed it" },
	{ "a", "b", "localhost", "it is for another name", "refuses" },
	{ "expired", "a", "127.0.0.1", "it has expired", "refuses" },
	{ "a", "expired", "127.0.0.1", "refuses TLS with us", "it has expired" },
};

START_TEST(certificate_that_is_wrong_is_refused_and_both_sides_know_why)
{
	const struct refusal *refusal = &refusals[_i];

	ck_assert_int_eq(try(refusal->listens, refusal->connects, refusal->host), -EACCES);

	ck_assert_msg(strstr(err.text, refusal->connecting_says) != NULL, "%s", err.text);
	ck_assert_int_eq(accepted, -EACCES);
	ck_assert_msg(strstr(accepted_err.text, refusal->accepting_says) != NULL, "%s",
		      accepted_err.text);
}
END_TEST

START_TEST(client_without_a_certificate_is_refused)
{
	listen_with("a");
	run_shell("gnutls-cli --insecure --port %s 127.0.0.1 < /dev/null > /dev/null 2>&1 &",
		  strrchr(channel_listener_address(listener), ':') + 1);

	accept_and_shake_hands(NULL);

	ck_assert_int_eq(accepted, -EBADMSG);
	ck_assert_msg(strcasestr(accepted_err.text, "certificate") != NULL, "%s",
		      accepted_err.text);
}
END_TEST

static void connect_plainly(void)
{
	const struct channel_options plain = { 0 };
	char uri[64];

	snprintf(uri, sizeof(uri), "tcp%s", channel_listener_address(listener) + 3);
	ck_assert_int_eq(channel_connect(&sender, uri, &plain, &err), 0);
	accept_one();
}

START_TEST(plain_bytes_are_no_handshake)
{
	listen_with("a");
	connect_plainly();
	ck_assert_int_eq(say(sender, "What is this?  It is no TLS, that is for sure."), 0);

	shake_hands(NULL);

	ck_assert_int_eq(accepted, -EBADMSG);
}
END_TEST

START_TEST(silence_is_no_handshake)
{
	options.patience_ms = SHORT_MS;
	listen_with("a");
	connect_plainly();

	shake_hands(NULL);

	ck_assert_int_eq(accepted, -ETIMEDOUT);
	ck_assert_str_eq(accepted_err.text, "the other side does not answer by TLS");
}
END_TEST

START_TEST(break_ends_a_handshake)
{
	pthread_t thread;

	listen_with("a");
	connect_plainly();
	pthread_create(&thread, NULL, break_soon, NULL);

	ck_assert_int_eq(channel_handshake(receiver, &err), -ECANCELED);

	pthread_join(thread, NULL);
}
END_TEST

START_TEST(tls_to_who_does_not_speak_it_gives_up)
{
	char uri[64];

	listen_at("tcp:127.0.0.1:0");
	snprintf(uri, sizeof(uri), "tls%s", channel_listener_address(listener) + 3);
	options.tls = in("a");
	options.patience_ms = SHORT_MS;
	ck_assert_int_eq(channel_connect(&sender, uri, &options, &err), 0);

	ck_assert_int_eq(channel_handshake(sender, &err), -ETIMEDOUT);
}
END_TEST

START_TEST(what_the_folder_lacks_is_named)
{
	options.tls = in("none");
	ck_assert_int_eq(channel_listen(&listener, "tls:127.0.0.1:0", &options, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "none/ca-cert.pem': No such file"));

	options.tls = in("mixed");
	ck_assert_int_eq(channel_connect(&sender, "tls:127.0.0.1:1", &options, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "mixed/cert.pem', or the key beside it: "));

	options.tls = in("empty");
	ck_assert_int_eq(channel_connect(&sender, "tls:127.0.0.1:1", &options, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "empty/ca-cert.pem' holds no certificate"));
}
END_TEST

START_TEST(certificates_and_tls_go_together)
{
	ck_assert_int_eq(channel_check("tls:host:1", &options, &err), -EINVAL);
	options.tls = in("a");
	ck_assert_int_eq(channel_check("tcp:127.0.0.1:1", &options, &err), -EINVAL);
	ck_assert_int_eq(channel_check("tls:host:1", &options, &err), 0);
}
END_TEST

static void make_certificates(void)
{
	const char *past = "activation_date=\"2020-01-01 00:00:00 UTC\"\\n"
			   "expiration_date=\"2020-02-01 00:00:00 UTC\"\\n";

	make_folder("a", "ours", "");
	make_folder("b", "ours", "");
	make_folder("expired", "ours", past);
	make_folder("foreign", "theirs", "");
	/* Knows our authority, and is of another. */
	run_shell("cd %s && cp -r foreign foreign_cert && cp ours/ca-cert.pem foreign_cert && "
		  "cp -r a mixed && cp b/key.pem mixed && cp -r a empty && : > empty/ca-cert.pem",
		  certificates);
}

int main(void)
{
	Suite *s = suite_create("channel_tls");
	TCase *tc = tcase_create("tls");
	int failed;

	if (!mkdtemp(certificates))
		return EXIT_FAILURE;
	make_certificates();
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, bytes_arrive_in_both_directions);
	tcase_add_test(tc, end_of_the_stream_is_an_error);
	tcase_add_test(tc, break_wakes_who_receives);
	tcase_add_loop_test(tc, certificate_that_is_wrong_is_refused_and_both_sides_know_why, 0,
			    ARRAY_LEN(refusals));
	tcase_add_test(tc, client_without_a_certificate_is_refused);
	tcase_add_test(tc, plain_bytes_are_no_handshake);
	tcase_add_test(tc, silence_is_no_handshake);
	tcase_add_test(tc, break_ends_a_handshake);
	tcase_add_test(tc, tls_to_who_does_not_speak_it_gives_up);
	tcase_add_test(tc, what_the_folder_lacks_is_named);
	tcase_add_test(tc, certificates_and_tls_go_together);
	suite_add_tcase(s, tc);

	failed = run(s);
	run_shell("rm -r %s", certificates);
	return failed;
}
