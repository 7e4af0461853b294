// Plays Cloudflare's cron trigger: whoever calls has the Worker's scheduled handler run, and learns how it went.
export default {
  async fetch(_request, { GUESTPASS }) {
    const { outcome } = await GUESTPASS.scheduled({ scheduledTime: new Date(), cron: "* * * * *" });
    return new Response(outcome);
  },
};
